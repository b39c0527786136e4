"""What a shop's texts (titles, queries, messages) share: plain form, masks, terms, vectors. No task is known here."""
