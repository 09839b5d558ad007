"""The symbolic pickle machine: what a pickle would import and call, found without doing either."""
