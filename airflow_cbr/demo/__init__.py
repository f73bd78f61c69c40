"""A real Airflow and the emulator on one machine: the demo, and the stack that the system tests stand on."""
