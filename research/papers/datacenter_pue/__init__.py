"""What belongs to the network of a data center's efficiency alone: its records, its figures."""
