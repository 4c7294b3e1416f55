"""The networks, the data they learn from, their training and an honest evaluation. Needs TensorFlow."""
