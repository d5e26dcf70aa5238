"""Images and videos as people have them → an index that is trained from, on one machine or many."""
