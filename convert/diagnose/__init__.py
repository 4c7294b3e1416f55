"""Where the error of an int8 file comes from: both networks on the same images, layer by layer, and ranked causes."""
