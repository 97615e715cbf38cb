"""What a character model keeps in mind: places in a text, and the cells that follow them."""
