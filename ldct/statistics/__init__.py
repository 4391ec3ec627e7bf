"""From values of slices to means, intervals and paired differences over patients."""
