"""What a price does to demand, and which price within a merchant's bounds is best."""
