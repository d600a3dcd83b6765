"""What nodes know of each other: records, epochs, the cluster's state, and the face that every registry has."""
