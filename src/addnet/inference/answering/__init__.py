"""Files that come over a network → answers: each is read in a process of its own, one thread has the network."""
