"""What the black-box tests stand on; README.md has the reading order."""
