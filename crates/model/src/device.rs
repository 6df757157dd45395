//! The device by name.

use burn::tensor::Device;

use crate::error::{ModelError, Result, escape};

/// The variable that names the device when a program is not told.
const VARIABLE: &str = "BURN_DEVICE";

/// Makes a device.
type Make = fn() -> Device;

/// The backends that are compiled in, the default first.
const DEVICES: &[(&str, Make)] = &[
    #[cfg(feature = "flex")]
    ("flex", Device::flex),
    #[cfg(feature = "cuda")]
    ("cuda", || Device::cuda(0)),
    #[cfg(feature = "wgpu")]
    ("wgpu", || {
        Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
    }),
    #[cfg(feature = "ndarray")]
    ("ndarray", ndarray),
];

/// The device of a program: the one that is named, else the one that the variable `BURN_DEVICE` names, else the first of
/// the compiled ones (`flex` by default). Training wants [`Device::autodiff`] of it.
///
/// # Errors
/// When the name is not known or its backend is not compiled in; the error lists those that are.
pub fn device(name: Option<&str>) -> Result<Device> {
    let variable = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    let known = || DEVICES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let Some(wanted) = name.or(variable.as_deref()) else {
        let first = DEVICES.first().map(|(_, make)| make());
        return first.ok_or_else(|| ModelError::UnknownDevice {
            name: String::new(),
            known: known(),
        });
    };
    let found = DEVICES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let unknown = || ModelError::UnknownDevice {
        name: escape(wanted),
        known: known(),
    };
    found.map(|(_, make)| make()).ok_or_else(unknown)
}

/// burn means to drop this backend one day; until then it is a second opinion on every number.
#[cfg(feature = "ndarray")]
#[allow(deprecated)]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "flex")]
    fn names_lead_to_devices_and_unknown_ones_list_them() {
        assert_eq!(device(Some("Flex")).unwrap(), Device::flex());
        let error = device(Some("abacus")).unwrap_err().to_string();
        assert!(
            error.contains("abacus") && error.contains("flex"),
            "{error}"
        );
    }
}
