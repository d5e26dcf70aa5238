"""Turns folders of images and videos into an index to train from, on one machine or several."""
