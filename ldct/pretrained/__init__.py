"""VGG and LPIPS weights: fetched, checked, used."""
