//! The world map: regions by their name and by their place.

use super::enter::agent_message;
use super::{Observed, Viewer, What};
use crate::net::udp::CircuitEvent;
use crate::proto::message::{Field, FieldValue, Row};
use std::time::Duration;
use tokio::time::Instant;

/// A region as the map tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRegion {
    /// Its name.
    pub name: String,
    /// Its south-west corner, in metres.
    pub corner: (u32, u32),
    /// In metres.
    pub size: (u32, u32),
}

/// A place of the map, in metres.
const BLOCK: u32 = 256;

/// Viewers ask for the layer of terrain.
const LAYER: u32 = 2;

/// What the map tells of a place where no region is.
const NOWHERE: i64 = 255;

/// Answers come in several messages: after such a pause there are no more.
const PAUSE: Duration = Duration::from_millis(500);

/// A larger answer is not read to its end.
const MOST: usize = 2000;

impl Viewer {
    /// Finds a region on the map by its name: its place, in regions of 256 metres.
    pub async fn find_region(&self, name: &str, within: Duration) -> Option<(u32, u32)> {
        let session = self.session()?;
        let request = agent_message(&self.common.template, "MapNameRequest", session).with(
            "NameData",
            "Name",
            FieldValue::text(name),
        );
        let root = self.root.clone();
        self.send(&root, request, true).await;
        let found = self.mailbox.wait(Instant::now() + within, |heard| {
            heard.iter().flat_map(blocks).find(|region| region.name.eq_ignore_ascii_case(name))
        });
        found.await.map(|region| (region.corner.0 / BLOCK, region.corner.1 / BLOCK))
    }

    /// Every region that the map knows within so many places of 256 metres of the avatar's own.
    pub async fn regions_around(&self, places: u32, within: Duration) -> Vec<MapRegion> {
        let Some(session) = self.session() else { return Vec::new() };
        let (x, y) = (session.region.0 / BLOCK, session.region.1 / BLOCK);
        let bound = |n: u32| Field::U16(u16::try_from(n).unwrap_or(u16::MAX));
        let request = agent_message(&self.common.template, "MapBlockRequest", session)
            .with("AgentData", "Flags", Field::U32(LAYER))
            .with("PositionData", "MinX", bound(x.saturating_sub(places)))
            .with("PositionData", "MaxX", bound(x + places))
            .with("PositionData", "MinY", bound(y.saturating_sub(places)))
            .with("PositionData", "MaxY", bound(y + places));
        let root = self.root.clone();
        self.send(&root, request, true).await;
        let (mut known, mut deadline) = (0, Instant::now() + within);
        // Until nothing more comes.
        while let Some(more) = self
            .mailbox
            .wait(deadline, |heard| {
                let told = heard.iter().flat_map(blocks).take(MOST).count();
                (told > known).then_some(told)
            })
            .await
        {
            (known, deadline) = (more, Instant::now() + PAUSE);
        }
        self.mailbox.with(|heard| {
            let mut found: Vec<MapRegion> = Vec::new();
            for region in heard.iter().flat_map(blocks).take(MOST) {
                if !region.name.is_empty() && !found.contains(&region) {
                    found.push(region);
                }
            }
            found
        })
    }
}

/// The regions that an observation tells.
fn blocks(observed: &Observed) -> Vec<MapRegion> {
    let What::Udp(seen) = &observed.what else { return Vec::new() };
    let CircuitEvent::Message { message, .. } = &**seen else { return Vec::new() };
    if message.name() != "MapBlockReply" {
        return Vec::new();
    }
    let mut sizes = message.rows("Size");
    // Older templates tell no sizes.
    let metres = |row: Option<&Row<'_>>, name| match row.map_or(0, |row| row.int(name)) {
        0 => BLOCK,
        metres => metres,
    };
    let all = message.rows("Data").map(|row| {
        let size = sizes.next();
        let size = (metres(size.as_ref(), "SizeX"), metres(size.as_ref(), "SizeY"));
        let corner = (row.int::<u32>("X") * BLOCK, row.int::<u32>("Y") * BLOCK);
        let region = MapRegion { name: row.text("Name"), corner, size };
        (row.number("Access") != NOWHERE).then_some(region)
    });
    all.flatten().collect()
}
