"""LDCT-Cascade: a reproducibility benchmark for low-dose CT (LDCT) denoising.

Each subject is a room (docs/architecture.md); these are the names that programs and notebooks use:

data        Scan, write_series, index_dataset, write_volume, load_volume, read_lesions,
            simulate_quarter_dose
metrics     load_protocol, slice_scores, vif, gmsd, tissue_fidelity
texture     soft_tissue_squares, noise_power, radial_profile
statistics  mean_interval, paired_difference
networks    load_levels, denoise_slices
a run       open_run, read_values, explain_number
methods     Scaling, Level, tune_factor, bm3d_slice, blur, tune_blur, fine_noise_hu, check_method

Method files import from here alone. A name is loaded when it is first asked for.
"""

import lazy_loader

__version__ = "0.1.0"

# Where each name is defined; the code behind a method file is found by it too.
FACE = {
    "common.scaling": ["Scaling"],
    "controls.blur": ["blur", "fine_noise_hu", "tune_blur"],
    "data.dicom.aapm_writer": ["Scan", "write_series"],
    "data.dicom.inventory": ["index_dataset"],
    "data.dose.simulate": ["simulate_quarter_dose"],
    "data.lesions": ["read_lesions"],
    "data.volumes": ["load_volume", "write_volume"],
    "denoising.block_matching": ["bm3d_slice", "tune_factor"],
    "denoising.network": ["denoise_slices"],
    "explain.number": ["explain_number", "open_run"],
    "method_check.check": ["check_method"],
    "metrics.full_reference": ["gmsd", "vif"],
    "metrics.pixelwise": ["slice_scores"],
    "metrics.protocol": ["load_protocol"],
    "metrics.tissues": ["tissue_fidelity"],
    "networks.chain": ["Level", "load_levels"],
    "runs.tables": ["read_values"],
    "statistics.uncertainty": ["mean_interval", "paired_difference"],
    "texture.noise_power": ["noise_power", "radial_profile"],
    "texture.regions": ["soft_tissue_squares"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=FACE)
