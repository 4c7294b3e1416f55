"""Study of quantization engines: TensorFlow's converter against alternatives."""
