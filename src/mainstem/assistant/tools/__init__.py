"""The tools of the hub, by what they are about. They call the features' own functions and have no SQL of theirs."""
