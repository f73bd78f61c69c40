"""The kinds of faults of images and servers, one in each module."""
