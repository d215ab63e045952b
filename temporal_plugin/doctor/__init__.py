"""`temporal-plugin doctor`: is this environment able to train and evaluate, and does it tell the
model the same about time wherever a video reaches it?"""
