"""What would make a replication fail, found by reads alone, and what it would copy."""
