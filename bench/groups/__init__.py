"""A file a group of figures: `measure(place, rounds)` yields its rows."""
