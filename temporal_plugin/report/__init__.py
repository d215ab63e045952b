"""Run and evaluation logs -> tables and pictures."""
