"""What happens over time: claiming, attempts, delays, sweeping."""
