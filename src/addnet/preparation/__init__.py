"""Pictures and videos as people have them → an index that is trained from."""
