"""The `torch` mllib, and `caffe` and `caffe2` on top of it."""
