//! What is measured: sizes, packings and ways.

use anyhow::{Result, ensure};
use kexec_lab::downtime::{InitrdSize, LARGE, LoadWay, MEDIUM, Packing, SMALL};

/// One way to load one initrd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What the initrd is packed with.
    pub packing: Packing,
    /// Who loads it, and how.
    pub way: LoadWay,
}

/// Everything that is measured with initrds of one size.
#[derive(Debug)]
pub struct SizeCells {
    /// The size.
    pub size: InitrdSize,
    /// The cells, in the order in which they run.
    pub cells: Vec<Cell>,
}

/// With the unpacked initrd: what the others are divided by.
const REFERENCES: [LoadWay; 4] = [
    LoadWay::Unpacked,
    LoadWay::ToolsUnchecked,
    LoadWay::LoadUnchecked,
    LoadWay::Load,
];
/// With each packed initrd, in the order of the tables.
pub const WAYS: [LoadWay; 6] = [
    LoadWay::ToolsClassic,
    LoadWay::ToolsFile,
    LoadWay::File,
    LoadWay::ToolsFileCma,
    LoadWay::ToolsUnchecked,
    LoadWay::Load,
];

/// Every cell. The large initrd is packed with zstd alone: a kernel takes minutes for xz
/// here, and gzip and xz cost as many instructions for each byte as in the medium one.
///
/// `quick`: the small and the medium initrd, with zstd alone.
pub fn all(quick: bool) -> Vec<SizeCells> {
    use Packing::{Gzip, Xz, Zstd};
    let sizes: &[(InitrdSize, &[Packing])] = match quick {
        true => &[(SMALL, &[Zstd]), (MEDIUM, &[Zstd])],
        false => &[
            (SMALL, &[Zstd, Gzip, Xz]),
            (MEDIUM, &[Zstd, Gzip, Xz]),
            (LARGE, &[Zstd]),
        ],
    };
    sizes
        .iter()
        .map(|(size, packings)| SizeCells::new(*size, packings))
        .collect()
}

/// The cells of [`all`], or those of the size with this name.
///
/// # Errors
/// If there is no such size.
pub fn chosen(quick: bool, only: Option<&str>) -> Result<Vec<SizeCells>> {
    let mut cells = all(quick);
    if let Some(name) = only {
        cells.retain(|one| one.size.name == name);
        ensure!(!cells.is_empty(), "--only {name}: no such size is measured");
    }
    Ok(cells)
}

impl SizeCells {
    fn new(size: InitrdSize, packings: &[Packing]) -> Self {
        let mut cells: Vec<Cell> = REFERENCES
            .map(|way| Cell {
                packing: Packing::Raw,
                way,
            })
            .to_vec();
        for packing in packings {
            cells.extend(WAYS.map(|way| Cell {
                packing: *packing,
                way,
            }));
        }
        Self { size, cells }
    }

    /// Keeps the cells of the way with this name, as the tables have it; all where none is
    /// named.
    ///
    /// # Errors
    /// If there is no such way.
    pub fn keep(&mut self, way: Option<&str>) -> Result<()> {
        if let Some(name) = way {
            self.cells.retain(|cell| cell.way.name() == name);
            ensure!(
                !self.cells.is_empty(),
                "--way {name}: no such way is measured"
            );
        }
        Ok(())
    }

    /// Every packing of the cells, once.
    pub fn packings(&self) -> Vec<Packing> {
        let mut packings: Vec<Packing> = Vec::new();
        for cell in &self.cells {
            if !packings.contains(&cell.packing) {
                packings.push(cell.packing);
            }
        }
        packings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_measured_with_what_it_is_divided_by() {
        for cells in all(false).into_iter().chain(all(true)) {
            for way in REFERENCES {
                assert!(cells.cells.contains(&Cell {
                    packing: Packing::Raw,
                    way
                }));
            }
            for packing in cells.packings() {
                let has = |way| cells.cells.contains(&Cell { packing, way });
                assert!(has(LoadWay::ToolsUnchecked) && has(LoadWay::Load));
            }
        }
        assert_eq!(all(false).len(), 3);
        assert_eq!(chosen(false, Some("large")).unwrap().len(), 1);
        assert!(chosen(true, Some("large")).is_err());
        let mut one = all(true).remove(0);
        one.keep(Some("kexec load")).unwrap();
        assert_eq!(one.cells.len(), 2);
        assert!(one.keep(Some("none")).is_err());
    }
}
