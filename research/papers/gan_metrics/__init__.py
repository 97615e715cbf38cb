"""How sample metrics are studied: disturbed images, samplers with known answers, and curves."""
