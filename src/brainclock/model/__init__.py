"""What a trained model is: encoder, regressor, folder, shipped weights."""
