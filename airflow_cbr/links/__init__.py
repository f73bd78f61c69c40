"""Links from a task to the CBR console."""
