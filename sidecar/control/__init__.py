"""What steers a sidecar from outside: the policy file."""
