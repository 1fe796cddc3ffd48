"""What people and scripts see: tables, logs, JSON. Pure but for the terminal's own drawing."""
