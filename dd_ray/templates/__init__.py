"""The network zoo: neural network templates by DeepDetect's names."""
