"""From the files of images to their features, in front of the scheduler. Knows neither Triton nor runtimes."""
