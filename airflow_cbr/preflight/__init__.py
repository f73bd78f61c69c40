"""What would make a replication fail, and what it would copy; found by reads only."""
