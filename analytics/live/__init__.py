"""What happens now, for people who watch: feed (fan-out and resume), replicas (the same over Redis), notices (from books)."""
