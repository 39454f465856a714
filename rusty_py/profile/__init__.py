"""What is known of an adapter's speed: measured on it, or assumed until `rusty-bench calibrate` runs."""
