"""What can be measured, one operation a file."""
