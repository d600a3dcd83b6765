"""What nodes know of each other: records, epochs, the cluster's state, and the Protocol that every registry follows."""
