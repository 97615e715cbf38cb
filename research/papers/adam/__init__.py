"""What belongs to Adam alone: its problems, its convolutional network, its figure."""
