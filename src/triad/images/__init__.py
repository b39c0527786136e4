"""What a shop's pictures share: decoding, an encoder whose weights a package carries, vectors. No task is known."""
