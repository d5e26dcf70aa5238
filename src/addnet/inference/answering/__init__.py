"""Files uploaded over a network → answers: each is read in its own process, and one thread runs the network."""
