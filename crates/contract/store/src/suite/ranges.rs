//! Range reads and key selectors, with own writes in between.

use super::{Context, Ran, list_cases, read_all};
use crate::{Isolation, KeySelector, RangeRead};

list_cases!(
    both_directions_and_limits,
    own_writes_are_merged,
    cleared_ranges_are_skipped,
    selectors_count_in_both_directions,
    selectors_stop_at_the_ends,
    inverted_and_empty_ranges_are_empty,
    long_ranges_come_in_pages,
    target_bytes_end_a_page,
);

async fn show(c: &Context, read: RangeRead, own: &[(&str, Option<&str>)]) -> Vec<String> {
    let tx = c.begin();
    for (key, value) in own {
        match value {
            Some(value) => tx.set(&c.key(key), value.as_bytes()),
            None => tx.clear(&c.key(key)),
        }
    }
    let rows = read_all(&*tx, read).await.unwrap();
    rows.iter().map(|row| c.show(row)).collect()
}

async fn five(c: &Context) {
    c.put(&[("b", "B"), ("d", "D"), ("f", "F"), ("h", "H"), ("j", "J")]).await;
}

async fn both_directions_and_limits(c: Context) -> Ran {
    five(&c).await;
    let all = RangeRead::all(&c.range("a", "i"));
    assert_eq!(show(&c, all.clone(), &[]).await, ["b=B", "d=D", "f=F", "h=H"]);
    assert_eq!(show(&c, all.clone().reverse(), &[]).await, ["h=H", "f=F", "d=D", "b=B"]);
    assert_eq!(show(&c, all.clone().limit(2), &[]).await, ["b=B", "d=D"]);
    assert_eq!(show(&c, all.clone().limit(3).reverse(), &[]).await, ["h=H", "f=F", "d=D"]);
    assert_eq!(show(&c, RangeRead::all(&c.range("b", "d")), &[]).await, ["b=B"]);
    Ran::Yes
}

async fn own_writes_are_merged(c: Context) -> Ran {
    five(&c).await;
    let own = [("a", Some("0")), ("d", None), ("e", Some("5")), ("f", Some("6")), ("z", Some("9"))];
    let all = RangeRead::all(&c.all());
    let expected = ["a=0", "b=B", "e=5", "f=6", "h=H", "j=J", "z=9"];
    assert_eq!(show(&c, all.clone(), &own).await, expected);
    let backwards: Vec<_> = expected.iter().rev().copied().collect();
    assert_eq!(show(&c, all.clone().reverse(), &own).await, backwards);
    assert_eq!(show(&c, all.clone().limit(3), &own).await, expected[..3]);
    assert_eq!(show(&c, all.reverse().limit(3), &own).await, backwards[..3]);
    Ran::Yes
}

async fn cleared_ranges_are_skipped(c: Context) -> Ran {
    five(&c).await;
    let tx = c.begin();
    tx.clear_range(&c.range("c", "i"));
    tx.set(&c.key("g"), b"own");
    let read = |read: RangeRead| read_all(&*tx, read);
    let shown = |rows: Vec<crate::KeyValue>| rows.iter().map(|r| c.show(r)).collect::<Vec<_>>();
    let forward = read(RangeRead::all(&c.all())).await.unwrap();
    assert_eq!(shown(forward), ["b=B", "g=own", "j=J"]);
    let backward = read(RangeRead::all(&c.all()).reverse()).await.unwrap();
    assert_eq!(shown(backward), ["j=J", "g=own", "b=B"]);
    Ran::Yes
}

async fn selectors_count_in_both_directions(c: Context) -> Ran {
    five(&c).await;
    let tx = c.begin();
    tx.set(&c.key("e"), b"own");
    tx.clear(&c.key("f"));
    // b d e h j
    let check = async |selector: KeySelector, expected: &str| {
        let key = tx.get_key(&selector, Isolation::Serializable).await.unwrap();
        assert_eq!(key, c.key(expected), "{selector:?}");
    };
    check(KeySelector::first_greater_or_equal(c.key("d")), "d").await;
    check(KeySelector::first_greater_or_equal(c.key("f")), "h").await;
    check(KeySelector::first_greater_than(c.key("d")), "e").await;
    check(KeySelector::last_less_or_equal(c.key("f")), "e").await;
    check(KeySelector::last_less_or_equal(c.key("e")), "e").await;
    check(KeySelector::last_less_than(c.key("e")), "d").await;
    let further =
        |offset| KeySelector { offset, ..KeySelector::first_greater_or_equal(c.key("b")) };
    check(further(4), "h").await;
    check(KeySelector { offset: -2, ..KeySelector::last_less_than(c.key("j")) }, "d").await;
    Ran::Yes
}

async fn selectors_stop_at_the_ends(c: Context) -> Ran {
    five(&c).await;
    let tx = c.begin();
    let far = |offset| KeySelector { key: c.key("d"), or_equal: false, offset };
    let after = tx.get_key(&far(i32::MAX), Isolation::Snapshot).await.unwrap();
    let before = tx.get_key(&far(i32::MIN), Isolation::Snapshot).await.unwrap();
    assert_eq!((&after[..], &before[..]), (&b"\xff"[..], &b""[..]));
    Ran::Yes
}

async fn inverted_and_empty_ranges_are_empty(c: Context) -> Ran {
    five(&c).await;
    assert!(show(&c, RangeRead::all(&c.range("j", "a")), &[]).await.is_empty());
    assert!(show(&c, RangeRead::all(&c.range("d", "d")), &[("d", Some("x"))]).await.is_empty());
    Ran::Yes
}

async fn long_ranges_come_in_pages(c: Context) -> Ran {
    let tx = c.begin();
    let value = vec![b'v'; 1_000];
    for number in 0..700 {
        tx.set(&c.key(&format!("{number:04}")), &value);
    }
    tx.commit().await.unwrap();
    for reverse in [false, true] {
        let tx = c.begin();
        let read = RangeRead { reverse, ..RangeRead::all(&c.all()) };
        let rows = read_all(&*tx, read).await.unwrap();
        let mut numbers: Vec<_> = (0..700).map(|n| c.key(&format!("{n:04}"))).collect();
        if reverse {
            numbers.reverse();
        }
        assert!(rows.iter().map(|row| &row.key).eq(&numbers), "reverse: {reverse}");
    }
    Ran::Yes
}

async fn target_bytes_end_a_page(c: Context) -> Ran {
    five(&c).await;
    let read = RangeRead { target_bytes: 1, ..RangeRead::all(&c.all()) };
    let page = c.begin().get_range(&read, Isolation::Serializable).await.unwrap();
    assert!(page.more && page.rows.len() < 5, "{page:?}");
    assert_eq!(show(&c, read, &[]).await.len(), 5, "but nothing is lost");
    Ran::Yes
}
