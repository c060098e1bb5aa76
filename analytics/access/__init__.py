"""Who may do what: principals, and how they show who they are."""
