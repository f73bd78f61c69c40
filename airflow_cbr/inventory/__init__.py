"""What backups, replication records, vaults and coverage are, read from rows alone: pure functions, no client."""
