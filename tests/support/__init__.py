"""What tests share: free ports, a scripted provider, and a whole installation as a subprocess."""
