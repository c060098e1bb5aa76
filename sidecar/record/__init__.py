"""The books: building records, keeping them until analytics has them, delivering them."""
