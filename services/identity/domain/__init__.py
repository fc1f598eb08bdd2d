"""
What is true about NIKs, families, credentials and masks, whoever asks: pure, no clock, no driver.
"""
