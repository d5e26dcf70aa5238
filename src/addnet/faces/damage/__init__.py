"""What happens to images on their way, each kind once: training draws from it, the ladder of robustness climbs it."""
