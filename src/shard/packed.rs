//! Many addresses in one message between shards: in one allocation, each with a few bits about it.

/// Addresses in normal form, each with its flags.
#[derive(Clone, Debug, Default)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Adds an address.
    pub fn push(&mut self, flags: u8, address: &str) {
        self.0.push(flags);
        // An address has 3,071 bytes at most.
        self.0.extend_from_slice(&(address.len() as u16).to_le_bytes());
        self.0.extend_from_slice(address.as_bytes());
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &str)> + Clone {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (flags, address, next) = self.get(at)?;
            at = next;
            Some((flags, address))
        })
    }

    /// The address that begins at this place, which is zero for the first one, and the place of the next.
    pub fn get(&self, at: usize) -> Option<(u8, &str, usize)> {
        let ([flags, low, high], behind) = self.0.get(at..)?.split_first_chunk::<3>()?;
        let length = u16::from_le_bytes([*low, *high]) as usize;
        Some((*flags, std::str::from_utf8(behind.get(..length)?).ok()?, at + 3 + length))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they take.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut packed = Packed::default();
        assert!(packed.is_empty() && packed.iter().next().is_none());
        let all = [(3, "romeo@montague.lit"), (0, "nürse@capulet.lit/chamber"), (255, "")];
        for (flags, address) in all {
            packed.push(flags, address);
        }
        assert!(packed.iter().eq(all));
        let (_, _, second) = packed.get(0).unwrap();
        assert_eq!(packed.get(second).map(|(flags, address, _)| (flags, address)), Some(all[1]));
        assert_eq!(packed.get(packed.bytes()), None);
    }
}
