"""What belongs to one paper alone: its task, its figure, its odd layer."""
