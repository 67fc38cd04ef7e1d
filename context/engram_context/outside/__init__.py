"""What the project imports from elsewhere: its environment, the standard library, installed packages."""
